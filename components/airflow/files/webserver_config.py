"""Sign-in: users and passwords in Airflow's own database (Flask-AppBuilder)."""

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
