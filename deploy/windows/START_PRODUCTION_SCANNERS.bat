@echo off
rem Starts tickerd with the config.toml of this folder's project, in the foreground; Ctrl-C stops everything.
rem Sets up .venv at the first start. What is given to this file goes on to `tickerd run`.
setlocal
cd /d "%~dp0..\.."
rem Logs are UTF-8, whatever code page the console has.
set PYTHONUTF8=1
if exist .venv\Scripts\tickerd.exe goto run

echo setting up .venv (once, about a minute) ...
set PYTHON=python
where py >nul 2>nul && set PYTHON=py -3
%PYTHON% -c "import sys; sys.exit(sys.version_info < (3, 11))"
if errorlevel 1 (
    echo tickerd needs Python 3.11 or newer: install it from python.org and start this file again 1>&2
    exit /b 1
)
%PYTHON% -m venv .venv
if errorlevel 1 exit /b 1
.venv\Scripts\python.exe -m pip install --quiet --upgrade "pip>=25.1"
.venv\Scripts\python.exe -m pip install --quiet --editable .
if errorlevel 1 exit /b 1

:run
.venv\Scripts\tickerd.exe run %*
exit /b %ERRORLEVEL%
